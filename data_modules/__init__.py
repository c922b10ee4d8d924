"""From files to batches: EmoSet's layout, the two views of each picture, and the order of samples.

One data module reads EmoSet, the embedded EmoScenes, pools of generated pictures in the same
layout, and the copies of EmoSet on hubs that carry pictures and emotions alone.
"""

from data_modules.check import check
from data_modules.emoset import EmoSetDataModule
from data_modules.generated import GeneratedConfig

__all__ = ["EmoSetDataModule", "GeneratedConfig", "check"]
