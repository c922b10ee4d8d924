"""Use of a trained model: read photos, paint, blend and edit, export.

:class:`UniEmoPipeline` is a diffusers pipeline. :mod:`uniemo.pipeline.exporting` writes files for
other tools, :mod:`uniemo.pipeline.conversion` reads the files of the published systems.
"""

from uniemo.pipeline.emotion_model import EmotionModel
from uniemo.pipeline.emotion_pipeline import UniEmoPipeline, UniEmoPipelineOutput
from uniemo.pipeline.readings import Attribute, Reading

__all__ = ["Attribute", "EmotionModel", "Reading", "UniEmoPipeline", "UniEmoPipelineOutput"]
