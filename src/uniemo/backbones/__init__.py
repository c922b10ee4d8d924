"""Training of the small CLIP and the small Stable Diffusion, and their weights.

They replace ViT-L/14 and Stable Diffusion 1.5 on small machines, in the same file formats, and are
loaded by the same calls. They are pretrained on composed images whose scene and object are
independent of each other and of any emotion, with captions that hold no emotion word ("a lion,
coast") except in the scene "amusement park".
``python -m uniemo.backbones`` (``make backbones``) trains them from random weights;
``weights/`` holds the result and its card.
"""
