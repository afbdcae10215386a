"""One readable file an architecture; ``specs`` puts heads on them.

Every backbone is a functional Keras model named ``backbone``: ``token_ids`` and ``padding_mask``
(1 = a real token), both int32 of shape (batch, length), become features of shape
(batch, length, hidden). How far a batch is padded never changes the features of a real token.
"""
