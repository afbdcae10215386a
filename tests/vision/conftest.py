"""Images made for tests."""

import cv2
import numpy as np
import pytest


@pytest.fixture
def painted():
    """Encode an image of one colour with a brighter block in it; each colour another file."""

    def make(colour=(200, 30, 60), height=20, width=30, suffix=".png"):
        image = np.full((height, width, 3), colour, np.uint8)
        image[height // 4 : height // 2, width // 4 : width // 2] = 255
        _, data = cv2.imencode(suffix, image[..., ::-1])
        return data.tobytes()

    return make


@pytest.fixture
def save(tmp_path, painted):
    """Write a file below the test's folder: bytes, text, or an image by its ending."""

    def write(name, content=None, **more):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            colour = [sum(name.encode()) * factor % 200 for factor in (1, 3, 7)]
            content = painted(colour, suffix=path.suffix, **more)
        if isinstance(content, np.ndarray):
            content = cv2.imencode(".png", content)[1].tobytes()
        if isinstance(content, str):
            content = content.encode()
        path.write_bytes(content)
        return path

    return write
