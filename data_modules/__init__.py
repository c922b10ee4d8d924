"""From files to batches: EmoSet's layout, the two views of each image, and the order of samples.

One data module reads EmoSet, the embedded EmoScenes, pools of generated images in the same layout,
and copies of EmoSet on hubs, which have images and emotions only.
"""

from data_modules.check import check
from data_modules.emoset import EmoSetDataModule
from data_modules.generated import GeneratedConfig

__all__ = ["EmoSetDataModule", "GeneratedConfig", "check"]
