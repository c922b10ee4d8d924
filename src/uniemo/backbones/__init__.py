"""How the small CLIP and the small Stable Diffusion are trained, and their shipped weights.

They stand in for ViT-L/14 and Stable Diffusion 1.5, in those models' own file formats, and are
loaded by the same calls. They are pretrained on composed pictures with captions that hold no
emotion word ("a lion, coast") but in one scene's name, "amusement park", drawn with scenes and
objects independent of each other and of any emotion.
``python -m uniemo.backbones`` (``make backbones``) trains them from nothing; ``weights/`` holds the
result and its card.
"""
