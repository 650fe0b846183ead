"""Each data set is read as its publisher lays it out, and what is missing is said in one line with where to get it."""

import json
import pickle

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from experiments.corruptions.catalog import STANDARD
from experiments.data.dataset import first, kept
from experiments.data.published import (
    cifar10,
    cifar10_c,
    coco,
    glue,
    image_net,
    model_net40,
    shape_net,
    speech_commands,
    voc,
)
from schedules.errors import UserError

RNG = np.random.default_rng(0)
BATCHES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]


def picture(path, size=(40, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 255, (size[1], size[0], 3)).astype(np.uint8)).save(path)


def wave(path, rate=16000, seconds=1.2):
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, rate, (RNG.standard_normal(int(rate * seconds)) * 3000).astype(np.int16))


def lines(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def test_cifar10_in_python_batches(tmp_path):
    for name in BATCHES:
        data = np.zeros((2, 3072), np.uint8)
        data[:, :1024] = 200  # red
        (tmp_path / name).write_bytes(pickle.dumps({b"data": data, b"labels": [3, 5]}, protocol=2))
    found = cifar10.load(tmp_path, 32)
    images, labels = found.train[[0, 9]]
    assert (len(found.train), len(found.test)) == (10, 2)
    assert images.shape == (2, 32, 32, 3)
    np.testing.assert_array_equal(images[0, 0, 0], [200, 0, 0])
    np.testing.assert_array_equal(labels, [3, 5])


def test_cifar10_in_binary_batches(tmp_path):
    row = np.concatenate([[7], np.full(1024, 1), np.full(1024, 2), np.full(1024, 3)]).astype(np.uint8)
    for name in BATCHES:
        (tmp_path / f"{name}.bin").write_bytes(row.tobytes())
    images, labels = cifar10.load(tmp_path, 32).test[[0]]
    np.testing.assert_array_equal(images[0, 31, 31], [1, 2, 3])
    assert labels[0] == 7


def test_a_pickle_that_asks_for_more_than_arrays_is_refused(tmp_path):
    for name in BATCHES:
        (tmp_path / name).write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(UserError, match=r"asks for os\.system"):
        cifar10.load(tmp_path, 32)


def test_missing_batches_are_named_with_where_to_get_them(tmp_path):
    (tmp_path / "data_batch_1").write_bytes(b"")
    with pytest.raises(UserError, match=r"5 of 6 parts are missing: data_batch_2.*and 2 more; get cifar-10.*kriz"):
        cifar10.load(tmp_path, 32)
    with pytest.raises(UserError, match="there is no such folder"):
        cifar10.load(tmp_path / "elsewhere", 32)


def test_cifar10_c_has_severities_one_after_the_other(tmp_path):
    for kind in STANDARD:
        images = np.repeat(np.arange(5), 2).astype(np.uint8)[:, None, None, None] * np.ones((1, 32, 32, 3), np.uint8)
        np.save(tmp_path / f"{kind}.npy", images)
    with pytest.raises(UserError, match=r"labels\.npy"):
        cifar10_c.load_corruption(tmp_path, "fog", 1, 32)
    np.save(tmp_path / "labels.npy", np.arange(10))
    images, labels = cifar10_c.load_corruption(tmp_path, "fog", 3, 16)[[0, 1]]
    assert images.shape == (2, 16, 16, 3)
    assert images.max() == images.min() == 2
    np.testing.assert_array_equal(labels, [4, 5])


def test_pictures_in_class_folders(tmp_path):
    for part in ("train", "test"):
        for name in ("cat", "ant"):
            picture(tmp_path / part / name / "0.png")
    found = image_net.load_folder(tmp_path, 16)
    images, labels = found.train[[0, 1]]
    assert found.classes == ("ant", "cat")
    assert images.shape == (2, 16, 16, 3)
    np.testing.assert_array_equal(labels, [0, 1])


def test_image_net_lacks_classes(tmp_path):
    picture(tmp_path / "train" / "n01440764" / "0.jpg")
    picture(tmp_path / "val" / "n01440764" / "0.jpg")
    with pytest.raises(UserError, match=r"1 of 1000 training classes are there; get ILSVRC2012"):
        image_net.load(tmp_path, 16)


ANNOTATION = """<annotation><size><width>40</width><height>20</height></size>
<object><name>dog</name><difficult>1</difficult>
<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>21</xmax><ymax>11</ymax></bndbox></object></annotation>"""


def test_voc_boxes_are_shares_of_the_picture_counted_from_one(tmp_path):
    for year, part in (("VOC2007", "trainval"), ("VOC2012", "trainval"), ("VOC2007", "test")):
        root = tmp_path / "VOCdevkit" / year
        lines(root / "ImageSets" / "Main" / f"{part}.txt", f"{part}1")
        lines(root / "Annotations" / f"{part}1.xml", ANNOTATION)
        picture(root / "JPEGImages" / f"{part}1.jpg", (40, 20))
    found = voc.load(tmp_path, 32)
    images, (boxes,) = found.test[[0]]
    assert (len(found.train), images.shape) == (2, (1, 32, 32, 3))
    np.testing.assert_allclose(boxes.corners, [[0, 0, 0.5, 0.5]])
    assert (found.classes[boxes.labels[0]], boxes.ignored[0]) == ("dog", True)


def test_a_broken_annotation_is_named(tmp_path):
    test_voc_boxes_are_shares_of_the_picture_counted_from_one(tmp_path)
    lines(tmp_path / "VOCdevkit" / "VOC2007" / "Annotations" / "test1.xml", "<annotation>")
    with pytest.raises(UserError, match=r"annotation 'test1\.xml' cannot be read"):
        voc.load(tmp_path, 32)


def test_coco_boxes_are_left_top_width_height(tmp_path):
    content = {
        "images": [{"id": 4, "file_name": "4.jpg", "width": 40, "height": 20, "license": 1}],
        "annotations": [
            {"image_id": 4, "category_id": 18, "bbox": [10, 5, 20, 10], "iscrowd": 0, "segmentation": []},
            {"image_id": 4, "category_id": 2, "bbox": [0, 0, 4, 2], "iscrowd": 1, "segmentation": {}},
        ],
        "categories": [{"id": 18, "name": "dog"}, {"id": 2, "name": "bicycle"}],
    }
    for part in ("train2017", "val2017"):
        lines(tmp_path / "annotations" / f"instances_{part}.json", json.dumps(content))
        picture(tmp_path / part / "4.jpg", (40, 20))
    found = coco.load(tmp_path, 16)
    _, (boxes,) = found.train[[0]]
    assert found.classes == ("bicycle", "dog")
    np.testing.assert_allclose(boxes.corners, [[0.25, 0.25, 0.75, 0.75], [0, 0, 0.1, 0.1]])
    np.testing.assert_array_equal(boxes.labels, [1, 0])
    np.testing.assert_array_equal(boxes.ignored, [False, True])


NAMES = [f"thing{number}" for number in range(40)]


def test_model_net_as_hdf5(tmp_path):
    lines(tmp_path / "shape_names.txt", *NAMES)
    for part in ("train", "test"):
        lines(tmp_path / f"{part}_files.txt", f"data/modelnet40/ply_data_{part}0.h5")
        with h5py.File(tmp_path / f"ply_data_{part}0.h5", "w") as file:
            file["data"] = RNG.standard_normal((3, 64, 3)).astype(np.float32)
            file["label"] = np.array([[1], [2], [39]], np.uint8)
    clouds, labels = model_net40.load(tmp_path, 32).train[[0, 2]]
    assert clouds.shape == (2, 32, 3)
    np.testing.assert_allclose(np.linalg.norm(clouds, axis=2).max(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(labels, [1, 39])


def test_model_net_as_text(tmp_path):
    lines(tmp_path / "modelnet40_shape_names.txt", *NAMES)
    for part in ("train", "test"):
        lines(tmp_path / f"modelnet40_{part}.txt", "thing3_0001")
    (tmp_path / "thing3").mkdir()
    np.savetxt(tmp_path / "thing3" / "thing3_0001.txt", RNG.standard_normal((50, 6)), delimiter=",")
    clouds, labels = model_net40.load(tmp_path, 20).test[[0]]
    assert (clouds.shape, labels[0]) == ((1, 20, 3), 3)


def test_model_net_as_meshes_with_the_header_glued_to_the_counts(tmp_path):
    for name in NAMES:
        for part in ("train", "test"):
            lines(tmp_path / name / part / "a.off", "OFF4 1 0", "0 0 0", "1 0 0", "1 1 0", "0 1 0", "4 0 1 2 3")
    found = model_net40.load(tmp_path, 16)
    clouds, labels = found.train[[39]]
    assert (clouds.shape, labels[0]) == ((1, 16, 3), 39)
    assert np.ptp(clouds[0, :, 2]) == 0  # a square lies in its plane


def test_points_of_a_mesh_are_drawn_by_area():
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 5], [3, 0, 5], [0, 3, 5]], float)
    points = model_net40.sampled(corners, np.array([[0, 1, 2], [3, 4, 5]]), 4000, np.random.default_rng(0))
    assert (points[:, 2] == 5).mean() == pytest.approx(0.9, abs=0.02)


def test_shape_net_has_a_part_for_every_point(tmp_path):
    lines(tmp_path / "synsetoffset2category.txt", "Airplane\t02691156")
    for part in ("train", "val", "test"):
        lines(tmp_path / "train_test_split" / f"shuffled_{part}_file_list.json", f'["shape_data/02691156/{part}"]')
        rows = np.concatenate([RNG.standard_normal((10, 6)), np.full((10, 1), 3)], axis=1)
        (tmp_path / "02691156").mkdir(exist_ok=True)
        np.savetxt(tmp_path / "02691156" / f"{part}.txt", rows)
    found = shape_net.load(tmp_path, 16)
    clouds, parts = found.train[[0, 1]]
    assert (clouds.shape, parts.shape) == ((2, 16, 3), (2, 16))
    assert (parts == 3).all()


def test_glue_with_and_without_header(tmp_path):
    by_name = {task.folder: task for task in glue.TASKS}
    for name in ("train.tsv", "dev.tsv"):
        lines(tmp_path / "CoLA" / name, "gj04\t1\t\tA good sentence .", "gj04\t0\t*\tSentence a good .")
        header = "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore"
        lines(
            tmp_path / "STS-B" / name, header, '0\ta\tb\t2012\t1\tc\td\tOne "dog\n', "1\ta\tb\t2012\t1\tc\td\tA\tB\t2.5"
        )
    ids, labels = glue.loader(by_name["CoLA"])(tmp_path, 8, 100).test[[0, 1]]
    assert ids.shape == (2, 8)
    assert ids[0, 0] == 1
    np.testing.assert_array_equal(labels, [1, 0])
    with pytest.raises(UserError, match="line 2 is no sample"):
        glue.loader(by_name["STS-B"])(tmp_path, 8, 100)
    with pytest.raises(UserError, match=r"2 of 2 parts are missing: RTE/train\.tsv"):
        glue.loader(by_name["RTE"])(tmp_path, 8, 100)


def test_speech_commands_have_unknown_words_and_silence(tmp_path):
    words = [*speech_commands.KEYWORDS, "bed", "cat"]
    for word in words:
        for index in range(3):
            wave(tmp_path / word / f"{index}.wav")
    wave(tmp_path / "_background_noise_" / "hiss.wav", seconds=3)
    lines(tmp_path / "testing_list.txt", *(f"{word}/0.wav" for word in words))
    lines(tmp_path / "validation_list.txt", *(f"{word}/1.wav" for word in words))
    found = speech_commands.load(tmp_path)
    waves, labels = found.test[list(range(len(found.test)))]
    assert waves.shape == (12, 16000)  # ten keywords, and a tenth as many of the others
    assert sorted(labels.tolist()) == list(range(12))


def test_spoken_digits_are_split_by_their_index(tmp_path):
    for index in range(7):
        wave(tmp_path / "recordings" / f"4_jackson_{index}.wav", 8000, 0.4)
    found = speech_commands.load_digits(tmp_path)
    waves, labels = found.train[[0, 1]]
    assert (len(found.test), waves.shape, labels.tolist()) == (5, (2, 8000), [4, 4])
    assert (waves[:, 3200:] == 0).all()


def test_small_splits_are_kept_in_memory_and_cut_evenly(tmp_path):
    for index in range(7):
        wave(tmp_path / "recordings" / f"{index}_jackson_{index}.wav", 8000, 0.1)
    split = kept(speech_commands.load_digits(tmp_path).test)
    np.testing.assert_array_equal(first(split, 3)[[0, 1, 2]][1], [0, 2, 4])
