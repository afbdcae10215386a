"""One readable file per architecture; ``specs`` adds heads to them.

Every backbone is a functional Keras model named ``backbone``: ``token_ids`` and ``padding_mask``
(1 = a real token), both int32 of shape (batch, length), become features of shape
Padding never changes the features of a real token.
"""
