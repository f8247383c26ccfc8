"""The generated video world: what the bundled checkpoint was trained on, and a library to try Quartet with.

world.py     vocabulary, the specification of a clip, splits by composition, hard negatives
shapes.py    outlines of the objects          motion.py   where everything is at time t
render.py    specification -> frames          video.py    frames -> MP4 files and captions on disk
captions.py  specification -> differently worded sentences
"""
