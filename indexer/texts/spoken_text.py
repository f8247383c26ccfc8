"""What is said in a video, as its texts: a `TextMaker` on a model of speech."""

from __future__ import annotations

from collections.abc import Iterator

from indexer.catalog.records import Video
from indexer.media.subtitle_streams import StreamText
from indexer.texts.sound import read_sound
from model.speech import RATE, SpeechReader


class SpokenText:
    """See the module. `reader` reads the speech of one video at a time."""

    name = "speech"

    def __init__(self, reader: SpeechReader) -> None:
        self._reader = reader

    def texts(self, video: Video) -> Iterator[StreamText]:
        for sound in read_sound(video.path, RATE):
            for spoken in self._reader.read(sound.samples):
                start, end = sound.start + spoken.start, sound.start + spoken.end
                if end > 0:
                    yield StreamText(max(start, 0.0), end, spoken.text, spoken.language)
