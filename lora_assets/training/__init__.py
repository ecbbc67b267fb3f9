"""Training of our own models: the starter detector and segmenter, from drawn scenes, without any outside weights.

    rendered   drawn frames with their truth, kept on disk   ->  views     crops, flips and colours of them
    schedule   learning rate, averaged weights, checkpoints       detector, segmenter   the two trainings (commands)
    feeding    batches made ahead by other processes             export  the detector as ONNX
    scores     recall, precision, average precision               starters  the last measurement, and the card
    converting a pickle of foreign weights becomes numbers, in a process that is shut in

Fine-tuning on a person's own annotations may come to live here too; running the models on frames does not belong here.
"""
