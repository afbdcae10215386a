"""How Keras Hub's encoder-decoders of speech listen, and write one token more.

A decoder object knows one kind of network: what its encoder reads (``inputs``), how it is taught
(``teach``), what it keeps of a sound (``listen``), of the tokens before (``empty``), and what one
``step`` makes of them.
"""

from __future__ import annotations

from typing import Any

import keras

from aitk.core.contract.errors import ArtifactError


def open_decoder(network: keras.Model) -> Any:
    """The decoder object of a network.

    Raises:
        ArtifactError: the network is no encoder-decoder of speech that is known here.
    """
    import keras_hub

    if isinstance(network, keras_hub.models.WhisperBackbone):
        from aitk.speech.models.seq2seq.whisper import WhisperDecoder

        return WhisperDecoder(network)
    if isinstance(network, keras_hub.models.MoonshineBackbone):
        from aitk.speech.models.seq2seq.moonshine import MoonshineDecoder

        return MoonshineDecoder(network)
    raise ArtifactError(
        f"a {type(network).__name__} writes no text of a sound", hint="Whisper and Moonshine do"
    )
