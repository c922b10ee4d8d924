"""``uniemo data annotate``: scenes and objects of images, named by frozen CLIP from lists.

Legend: N images, K names, E width of CLIP's joint space.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from data_modules import EmoSetDataModule
from data_modules.merge import named_rows, write_rows
from data_modules.source import open_source
from uniemo.config.model import ClipConfig
from uniemo.errors import UserError
from uniemo.understanding import ClipBackbone, load_clip
from uniemo.utils.progress import track
from uniemo.utils.sources import resolve


def main(arguments: list[str]) -> None:
    """Write a data set with the names that frozen CLIP gives its images.

    Raises:
        UserError: If a file is missing, or the data set cannot be read.
    """
    clip = ClipConfig()
    parser = argparse.ArgumentParser(
        prog="uniemo data annotate",
        description="Name scene and object of every image by frozen CLIP, the nearest of a list "
        "each, and write the data set in EmoSet's layout with them; images stay where they are. "
        "Annotations say by what they were named. The agreement with true names is printed.",
        allow_abbrev=False,
    )
    parser.add_argument("root", metavar="ROOT", help="the data set, of any kind")
    parser.add_argument("-o", "--output", type=Path, required=True, help="a new folder")
    parser.add_argument("--scenes", type=Path, help="text file, a name a line")
    parser.add_argument("--objects", type=Path, help="text file, a name a line")
    parser.add_argument(
        "--template",
        action="append",
        help=f"sentence with {{}} for the name; several are averaged ({clip.scene_template!r})",
    )
    parser.add_argument("--clip", default=clip.model, help=f"as model.clip.model ({clip.model})")
    parser.add_argument("--pretrained", help="as model.clip.pretrained")
    given = parser.parse_args(arguments)
    if given.scenes is None and given.objects is None:
        raise UserError("there is nothing to name; give --scenes, --objects or both")
    pretrained = given.pretrained or (clip.pretrained if given.clip == clip.model else None)
    backbone = load_clip(resolve(given.clip), pretrained)
    scenes, objects = (_names(path) for path in (given.scenes, given.objects))
    templates = given.template or [clip.scene_template]
    if wrong := [template for template in templates if "{}" not in template]:
        raise UserError(f"template {wrong[0]!r} has no {{}} where the name goes")
    annotate(given.root, given.output, backbone, scenes, objects, templates, given.clip)


def annotate(
    root: str,
    output: Path,
    backbone: ClipBackbone,
    scenes: list[str],
    objects: list[str],
    templates: list[str],
    clip: str,
) -> None:
    """Write a data set with CLIP's names in place of its own; an empty list keeps its own."""
    view = {"clip_size": backbone.image_size, "clip_mean": backbone.mean, "clip_std": backbone.std}
    data = EmoSetDataModule(root, diffusion_size=None, **view)  # type: ignore[arg-type]
    data.prepare_data()
    source = open_source(root, cache_dir=data.cache_dir)
    lists = {"scene": scenes, "objects": objects}
    text = {
        kind: F.normalize(
            torch.stack([backbone.encode_names(names, t) for t in templates]).mean(dim=0), dim=1
        )
        for kind, names in lists.items()
        if names
    }  # [K, E] each
    agreement: dict[str, list[bool]] = {kind: [] for kind in text}

    def rows(split: str) -> Iterator[dict[str, Any]]:
        features = image_features(backbone, data, split)  # [N, E]
        table = source.table(split, data.cache_dir)
        found = {kind: (features @ own.T).argmax(dim=1).tolist() for kind, own in text.items()}
        for number, row in enumerate(named_rows(source, table)):
            named = {kind: lists[kind][own[number]] for kind, own in found.items()}
            true = {"scene": [row["scene"]], "objects": row["objects"]}
            for kind, name in named.items():
                known = set(true[kind]) & set(lists[kind])
                if known:
                    agreement[kind].append(name in known)
            if "scene" in named:
                row["scene"] = named["scene"]
            if "objects" in named:
                row["objects"] = [named["objects"]]
            yield row

    write_rows(
        output, data.emotions, scenes or data.scene_names, objects or data.object_names,
        {split: rows(split) for split in source.splits},
        {f"{kind}_by": f"CLIP {clip}" for kind in text},
    )  # fmt: skip
    for kind, hits in agreement.items():
        share = f"{sum(hits) / len(hits):.1%} of {len(hits):,}" if hits else "nothing to compare"
        print(f"Agreement with true names, {kind}: {share}")
    print(f"Wrote {output}")


@torch.inference_mode()
def image_features(backbone: ClipBackbone, data: EmoSetDataModule, split: str) -> Tensor:
    """Return frozen CLIP's unit features of a split's images, [N, E]."""
    loader = data.plain_dataloader(split)
    batches = track(loader, f"Naming the images of {split}", len(loader))
    features = [backbone.model.encode_image(batch["clip_image"]) for batch in batches]
    return F.normalize(torch.cat(features).float(), dim=1)


def _names(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        names = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except OSError:
        raise UserError(f"list of names {path} cannot be read; give a text file") from None
    found = list(dict.fromkeys(filter(None, names)))
    if not found:
        raise UserError(f"{path} holds no names; write one a line")
    return found
