"""Sources of weights: paths in the package, and digests of their content."""

from pathlib import Path

from uniemo.utils.sources import resolve, weights_digest


def test_package_paths_are_resolved_and_others_stay() -> None:
    source = resolve("local-dir:package:backbones/weights/clip")
    assert source.startswith("local-dir:/")
    assert Path(source.removeprefix("local-dir:")).is_dir()
    assert resolve("someone/model") == "someone/model"


def test_a_digest_depends_on_names_and_content_alone(tmp_path: Path) -> None:
    digests = []
    for number, (name, content) in enumerate([("a", b"1"), ("a", b"1"), ("b", b"1"), ("a", b"2")]):
        folder = tmp_path / str(number)
        (folder / "inner").mkdir(parents=True)
        (folder / "inner" / name).write_bytes(content)
        digests.append(weights_digest(f"local-dir:{folder}"))
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
    assert weights_digest("someone/model") == "someone/model"
