"""Who is on a crop and which crops are alike: embeddings, characters, shots and near-duplicate groups.

Which of them are taken belongs to curation.
"""
