"""lora_assets: folders of anime and film frames become character datasets fit for training LoRAs.

The graph, as Dagster loads it (lora_assets_tests/assets/test_graph.py holds it against the definitions):

    raw_frames -> detections -> masks -> scored_crops -> tracker_dashboard
    raw_frames -> video_frames
    scored_crops -> image_quality
    scored_crops -> crop_groups -> curated_dataset -> crop_captions -> exports
    scored_crops -> characters -> curated_dataset
    scored_crops -> curated_dataset
    characters -> image_quality -> curated_dataset
    judge -> curated_dataset
    verdicts -> curated_dataset
    scored_crops -> crop_captions
    detections -> embeddings -> rare_objects -> captions -> embedding_map
    embeddings -> captions
    embeddings -> embedding_map
    rare_objects -> embedding_map
    masks -> refinement_sweep
    masks -> layers
    scored_crops -> judge
    verdicts -> judge
    coco_annotations -> finetuned_segmenter -> segmenter_report

    raw_frames         by dataset             every file of a folder, with its facts or why it is quarantined
    video_frames       by dataset             its videos as pictures, which are a dataset of their own
    detections         by dataset|tracker     boxes of faces, heads and persons
    masks              by dataset|tracker     the pixels of every subject, refined
    scored_crops       by dataset|tracker     RGBA cut-outs with scores, flags and tier
    tracker_dashboard  by tracker             the page /tracker/<ID>
    verdicts           (the person's)         what was said of crops: good, bad, exclude
    image_quality      by tracker             score 0 to 10 of each crop's picture, from many metrics
    crop_groups        by tracker             shots, exact twins, held frames, near-duplicates, variants
    characters         by tracker             who each crop shows; ids and names that last
    curated_dataset    by tracker             the choice, each crop in or out with its reason, and the split
    crop_captions      by tracker             one caption per crop that is exported
    exports            by tracker             folders as trainers read them, read back by their rules
    embeddings         by tracker             objects of sampled frames, each with its CLIP vector
    rare_objects       by tracker             outliers, rare classes, novelty; why each is kept
    captions           by tracker             one line about each kept object, by a service that is named
    refinement_sweep   by tracker             presets compared on hard masks: /tracker/<ID>/lab
    layers             by tracker             characters as RGBA, background painted where they were
    embedding_map      by tracker             t-SNE map with named clusters: /tracker/<ID>/map
    coco_annotations   by segmenter           annotated comic pages, every picture, mask and box checked
    judge              by tracker             P(good) learned from verdicts, compared with the rules
    finetuned_segmenter by segmenter          SAM or SAM 2 tuned on annotated pages
    segmenter_report   by segmenter           the tune against its base; who is offered

Where to change what:

    a column of a table, its unit or range      tables/
    how a file is written, leftovers swept      atomic.py
    how results are found again                 store.py
    when a file is taken in, or waits           main_line/frames.py, vision/sniff.py
    in which order frames of a folder stand     film_order.py
    which frames of a video are kept            vision/video.py, vision/video_choice.py, main_line/videos.py
    what counts as a video, combed frames       vision/video_formats.py, vision/video_fields.py
    a share of a folder's pictures              main_line/sampling.py
    tables as pandas DataFrames                 notebook.py
    which files count as deleted                main_line/deleted.py, folder_marks.py
    runs that died with their process           run_recovery.py, run_launcher.py
    how far work is, told while it runs         progress.py
    how far a stage is, as state on disk        under_way.py
    what a tracker's file may say               specs.py
    how a picture is decoded, what is refused   vision/images.py
    which detectors there are, body boxes       vision/detect.py, models/registry.py
    masks and their refinement presets          vision/segment.py, vision/refine.py, vision/refine_presets.py
    the starter SAM: second look, dense field   vision/starter_boxes.py, vision/dense_crf.py
    scores, flags, vetoes, tiers                vision/checks.py, vision/measures.py, vision/score.py
    what makes a result stale                   recipes.py, planning.py
    how a stage runs over many frames           main_line/
    the sample film and the drawn scenes        scenes/
    the starter models and how they are made    training/, starter/
    tuning a segmenter, its report, what learns finetuning/
    SAM 2, tuned models by their names          vision/sam2.py, models/tuned.py
    assets, checks, sensors, schedules, jobs    assets/, definitions.py
    helper processes: deadline, death, end      vision/line_process.py, vision/parent_watch.py
    masks as plain run lengths                  run_lengths.py
    masks by clicks: models, process, page      vision/prompted.py, vision/click_*.py, tracker/clicking.py
    masks made by hand: kept, put into a run    verdicts/corrections.py, main_line/corrections.py
    verdicts: kept, matched to crops            verdicts/
    who may ask a page, from where              tracker/guard.py
    drawn pages kept, and for how long          tracker/kept_pages.py, tracker/page_sources.py
    versions with known holes                   cli/doctor.py
    weights that are programs, converted        training/converting.py
    two trackers compared, causes of changes    comparing/
    P(good), when the judge is active           judge/
    after how many marks the judge is renewed   judge/renewal.py
    metrics of image quality, weights, bands    quality/
    who is shown, shots, lasting characters     identity/
    groups of alike crops, choice, split        curation/
    captions, formats of trainers, read-back    exports/
    rare and odd objects, captions, the map     mining/
    presets compared, frames taken into layers  mask_lab/
    the pages; a page is one routes_*.py        tracker/
    the grid, keys, saving of marks (scripts)   tracker/static/
    annotated comic pages: COCO, splits         annotations/
    drawn comic pages                           scenes/comic.py
    the commands                                cli/
    measurements                                benchmarks/
"""
