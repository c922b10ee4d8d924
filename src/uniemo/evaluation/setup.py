"""Who judges the pictures of an experiment: its networks, and the judge fitted on its real ones."""

from collections.abc import Sequence
from typing import Any

from uniemo.config.experiment import Experiment
from uniemo.diffusion import StableDiffusion, latent_fingerprint
from uniemo.evaluation.judge import fit_judge, published_emotion_probe
from uniemo.evaluation.networks import build_networks
from uniemo.vision.features import FeatureCache, FeatureRequest, Reconstruction, diffusion_view


class EvaluationSetup:
    """The networks that an experiment's settings name, and its judge.

    Args:
        experiment: The experiment.
        data: Its data module, with the diffusion view.
        head: The head whose VAE every picture of the system passes.
        training: Looks at the training split that others will need, to be read in the same pass.
        validation: Likewise at the validation split.

    Attributes:
        networks: The networks by what they are for.
        crisp: How the judge's network looks at real pictures.
        decoded: How it looks at what the VAE makes of them.
        distances: How the network of the distances looks at real pictures.
        library: What was read of the data set.
        training: The training split as the judge's network sees it.
        judge: Fitted on it, and on what the VAE makes of some of it.
    """

    def __init__(
        self,
        experiment: Experiment,
        data: Any,
        head: StableDiffusion,
        training: Sequence[FeatureRequest] = (),
        validation: Sequence[FeatureRequest] = (),
    ) -> None:
        config, device = experiment.evaluation, experiment.device
        self.networks = build_networks(config, head.image_size, device)
        view = diffusion_view(head.image_size)
        through_vae = Reconstruction(
            lambda image: head.decode(head.encode(image * 2 - 1)),
            latent_fingerprint(head.vae, head.image_size, "reconstruction"),
        )
        self.crisp = FeatureRequest(self.networks.judge, view)
        self.decoded = self.crisp._replace(reconstruction=through_vae)
        self.distances = FeatureRequest(self.networks.distances, view)
        self.library = FeatureCache(data, experiment.cache, device)
        some = self.decoded._replace(limit=config.n_reconstructed)
        self.training, softened, *_ = self.library.tables([self.crisp, some, *training], "train")
        own, own_decoded, *_ = self.library.tables([self.crisp, self.decoded, *validation], "val")
        given = config.emotion_weights
        self.judge = fit_judge(
            self.networks.judge,
            self.training.joined(softened),
            own.joined(own_decoded),
            len(data.scene_names),
            experiment.cache,
            None if given is None else published_emotion_probe(given),
        )
