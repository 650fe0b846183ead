"""The network for digits learns, and what is written of it is a model and its test split."""

import numpy as np
import torch

from experiments.digits.__main__ import main


def test_an_epoch_teaches_it_more_than_chance_and_is_written(tmp_path, capsys):
    assert main(["--epochs", "1", "--output", str(tmp_path)]) == 0
    accuracy = float(capsys.readouterr().out.split()[2].removesuffix("%"))
    assert accuracy > 20
    split = np.load(tmp_path / "digits_test.npz")
    assert split["images"].shape == (360, 1, 8, 8)
    model = torch.export.load(tmp_path / "digits.pt2").module()
    logits = torch.cat([model(torch.from_numpy(image[None] / 16).float()) for image in split["images"]])
    found = 100 * float((logits.argmax(1) == torch.from_numpy(split["labels"]).long()).float().mean())
    assert abs(found - accuracy) < 0.5
