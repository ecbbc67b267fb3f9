"""lora_assets: folders of anime and film frames become character datasets fit for training LoRAs.

The graph, as Dagster loads it (lora_assets_tests/assets/test_graph.py holds it against the definitions):

    raw_frames -> detections -> masks -> scored_crops -> tracker_dashboard
    scored_crops -> judge
    verdicts -> judge

    raw_frames         by dataset             every file of a folder, with its facts or why it is quarantined
    detections         by dataset|tracker     boxes of faces, heads and persons
    masks              by dataset|tracker     the pixels of every subject, refined
    scored_crops       by dataset|tracker     RGBA cut-outs with scores, flags and tier
    tracker_dashboard  by tracker             the page /tracker/<ID>
    verdicts           (the person's)         what was said of crops: good, bad, exclude
    judge              by tracker             P(good) learned from verdicts, compared with the rules

Where to change what:

    a column of a table, its unit or range      tables/
    how files are written and found again       store.py
    what a tracker's file may say               specs.py
    how a picture is decoded, what is refused   vision/images.py
    which detectors there are, body boxes       vision/detect.py, models/registry.py
    masks and their refinement presets          vision/segment.py, vision/refine.py
    scores, flags, vetoes, tiers                vision/checks.py, vision/score.py
    what makes a result stale                   recipes.py, planning.py
    how a stage runs over many frames           main_line/
    the sample film and the drawn scenes        scenes/
    the starter models and how they are made    training/, starter/
    assets, checks, sensors, schedules, jobs    assets/, definitions.py
    verdicts: kept, matched to crops            verdicts/
    P(good), when the judge is active           judge/
    the pages                                   tracker/
    the commands                                cli/
    measurements                                benchmarks/
"""
