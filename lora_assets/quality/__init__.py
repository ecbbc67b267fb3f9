"""Image quality of crops: named metrics with direction, range, weights, licence and cost, and their ensemble, 0 to 10.

One metric is one module or adapter; which crops are chosen by the scores belongs to curation.
"""
