"""The torchvision registry: widths, preparation, weights from disk, clear errors."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file

from model.vision.backbone_config import BackboneConfig
from model.vision.backbones import Backbone
from quartet.errors import InputError, ModelError

SMALL = BackboneConfig("mobilenet_v3_small", (64, 64))


@pytest.mark.parametrize(
    ("arch", "width"), [("mobilenet_v3_small", 576), ("resnet18", 512), ("shufflenet_v2_x1_0", 1024)]
)
def test_features_are_what_the_classifier_would_read(arch: str, width: int) -> None:
    torch.manual_seed(0)
    backbone = Backbone(BackboneConfig(arch, (64, 64))).eval()
    assert backbone.feature_dim == width
    reference = torchvision.models.get_model(arch, weights=None)
    head = next(name for name in ("fc", "classifier") if hasattr(reference, name))
    setattr(reference, head, torch.nn.Identity())
    reference.load_state_dict(backbone.net.state_dict())
    image = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        expected = reference.eval()((image.float() / 255 - mean) / std).flatten(1)
        torch.testing.assert_close(backbone(image), expected)


def test_clips_of_many_shapes_share_a_batch() -> None:
    backbone = Backbone(SMALL).eval()
    rng = np.random.default_rng(0)
    clips = [
        rng.integers(0, 256, (t, h, w, 3), dtype=np.uint8) for t, h, w in ((1, 48, 300), (5, 301, 77), (2, 64, 64))
    ]
    together = backbone.features(clips, batch_size=3)
    assert [f.shape for f in together] == [(1, 576), (5, 576), (2, 576)]
    torch.testing.assert_close(together[1], backbone.features([clips[1]])[0], atol=1e-4, rtol=1e-4)


def test_crop_keeps_the_centre_and_stretch_keeps_everything() -> None:
    frames = np.zeros((1, 100, 200, 3), np.uint8)
    frames[:, :, :30] = 255  # a bar at the left edge
    crop = Backbone(SMALL).prepare(frames)
    stretch = Backbone(BackboneConfig("mobilenet_v3_small", (64, 64), "stretch")).prepare(frames)
    assert crop.shape == stretch.shape == (1, 3, 64, 64)
    assert crop.max() == 0
    assert stretch[..., 0].min() == 255


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_published_weights_are_read_from_a_state_dict(tmp_path: Path, suffix: str) -> None:
    published = torchvision.models.get_model("mobilenet_v3_small", weights=None).state_dict()
    path = tmp_path / f"weights{suffix}"
    save_file(published, path) if suffix == ".safetensors" else torch.save(published, path)
    backbone = Backbone(SMALL)
    backbone.load_weights(path)
    for name, value in backbone.net.state_dict().items():
        torch.testing.assert_close(value, published[name])


def test_the_papers_backbone_from_its_file_to_features(tmp_path: Path) -> None:
    torch.manual_seed(0)
    published = torchvision.models.resnet152(weights=None).eval()
    torch.save(published.state_dict(), tmp_path / "resnet152.pth")
    backbone = Backbone(BackboneConfig("resnet152", (64, 64))).eval()
    backbone.load_weights(tmp_path / "resnet152.pth")
    frames = np.random.default_rng(0).integers(0, 256, (2, 73, 73, 3), dtype=np.uint8)
    image = backbone.prepare(frames).float() / 255
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        logits = published((image - mean) / std)
        torch.testing.assert_close(published.fc(backbone.features([frames])[0]), logits, atol=1e-3, rtol=1e-3)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    save_file(torchvision.models.get_model("resnet18", weights=None).state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match="does not contain weights of mobilenet_v3_small"):
        Backbone(SMALL).load_weights(tmp_path / "other.safetensors")


@pytest.mark.parametrize("arch", ["resnet9000", "raft_small"])
def test_an_unknown_backbone_is_named(arch: str) -> None:
    with pytest.raises(InputError, match=arch):
        Backbone(BackboneConfig(arch))


def test_a_network_without_pooling_is_refused() -> None:
    with pytest.raises(ModelError, match="has no pooling layer"):
        Backbone(BackboneConfig("vgg11", (224, 224)))
