import hashlib
import io
import os
import tempfile
import zipfile

import msgspec
import numpy as np
import pytest
import torch

import tvm_bnn
from rpc.formats import artifact_facts
from schedules.errors import UserError
from schedules.machines import host
from schedules.machines.isa import PORTABLE
from tvm_bnn.artifacts.artifact import FORMAT_VERSION, read_artifact, write_artifact


def complaint_of(function, *arguments):
    with pytest.raises(UserError) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def rewritten(digits, tmp_path, **changes):
    manifest, library = read_artifact(digits.path)
    path = tmp_path / "changed.so"
    write_artifact(path, library, msgspec.structs.replace(manifest, **changes))
    return path


def test_what_is_written_is_read_back(digits, tmp_path):
    manifest, library = read_artifact(digits.path)
    write_artifact(tmp_path / "copy.so", library, manifest)
    assert read_artifact(tmp_path / "copy.so") == (manifest, library)
    assert manifest.format_version == FORMAT_VERSION
    assert manifest.inputs[0].shape == (1, 1, 8, 8)
    assert manifest.outputs[0].shape == (1, 10)
    assert manifest.versions["apache-tvm"].startswith("0.27")
    assert "form_thresholds" in manifest.passes


def test_the_artifact_is_a_shared_library_as_it_stands(digits):
    import tvm

    assert tvm.runtime.load_module(str(digits.path))["vm_load_executable"] is not None


def test_a_missing_file(tmp_path):
    assert "no such file" in complaint_of(tvm_bnn.load, tmp_path / "absent.so")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x7fELF" + bytes(500)])
def test_a_foreign_file(tmp_path, content):
    path = tmp_path / "foreign.so"
    path.write_bytes(content)
    assert "was not made by tvm_bnn" in complaint_of(tvm_bnn.load, path)


def test_a_zip_file_of_something_else(tmp_path):
    path = tmp_path / "other.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no")
    assert "was not made by tvm_bnn" in complaint_of(tvm_bnn.load, path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file(digits, tmp_path, share):
    data = digits.path.read_bytes()
    path = tmp_path / "cut.so"
    path.write_bytes(data[: int(len(data) * share)])
    assert "cut short" in complaint_of(tvm_bnn.load, path)


def test_a_flipped_bit_in_the_library(digits, tmp_path):
    data = bytearray(digits.path.read_bytes())
    data[5000] ^= 1
    path = tmp_path / "flipped.so"
    path.write_bytes(bytes(data))
    assert "is damaged" in complaint_of(tvm_bnn.load, path)


def test_a_manifest_that_is_no_manifest(tmp_path):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("manifest.json", f'{{"format_version": {FORMAT_VERSION}}}')
    path = tmp_path / "strange.so"
    path.write_bytes(b"library" + archive.getvalue())
    assert "damaged manifest" in complaint_of(tvm_bnn.load, path)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1] + b',"tvm_target":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
        lambda text: text + b" " * (1 << 25),
        lambda text: text.replace(b'"library_bytes":', b'"library_bytes":-'),
        lambda text: text.replace(b'"x"', b'"\xff"'),
        lambda text: b"[" * 200_000,
        lambda text: b"",
    ],
)
@pytest.mark.parametrize("reader", [read_artifact, artifact_facts.read_artifact])
def test_a_manifest_that_was_made_to_hurt(digits, tmp_path, change, reader):
    """It is sealed: whoever changes a manifest can hash it again."""
    manifest, library = read_artifact(digits.path)
    write_sealed(tmp_path / "hostile.so", library, change(msgspec.json.encode(manifest)))
    assert complaint_of(reader, tmp_path / "hostile.so").startswith("artifact '")


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"float32"', b'"O"'), (b"[1,1,8,8]", b"[1,-1,8,8]"), (b'"inputs":[', b'"inputs":[],"old":['), (b'"x"', b"7")],
)
def test_a_manifest_that_describes_no_model(digits, tmp_path, old, new):
    manifest, library = read_artifact(digits.path)
    text = msgspec.json.encode(manifest)
    assert old in text
    write_sealed(tmp_path / "hostile.so", library, text.replace(old, new))
    assert "has a damaged manifest" in complaint_of(tvm_bnn.load, tmp_path / "hostile.so")


def write_sealed(path, library, text):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("manifest.json", text)
        zipped.comment = b"sha256:" + bytes(64)
    content = library + archive.getvalue()[:-64]
    path.write_bytes(content + hashlib.sha256(content).hexdigest().encode())


def test_an_instruction_set_that_nobody_knows(digits, tmp_path):
    path = rewritten(digits, tmp_path, isa="abacus")
    assert "is for 'abacus', which this tvm_bnn does not know; upgrade" in complaint_of(tvm_bnn.load, path)


@pytest.mark.parametrize("library", [b"", b"\x7fELF", b"no library at all"])
def test_a_library_that_is_none(digits, tmp_path, library):
    manifest, _ = read_artifact(digits.path)
    path = tmp_path / "none.so"
    facts = {"library_bytes": len(library), "library_sha256": hashlib.sha256(library).hexdigest()}
    write_artifact(path, library, msgspec.structs.replace(manifest, **facts))
    assert "its library is none that TVM runs" in complaint_of(tvm_bnn.load, path)


@pytest.mark.parametrize("name", ["", "fifo", "x" * 300])
def test_what_is_no_file(tmp_path, name):
    os.mkfifo(tmp_path / "fifo")
    for reader in (tvm_bnn.load, artifact_facts.read_artifact):
        assert complaint_of(reader, tmp_path / name).startswith("artifact '")


def test_a_full_disk_while_loading(digits, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    text = complaint_of(tvm_bnn.load, digits.path)
    assert "its library cannot be copied" in text
    assert "TMPDIR names another folder" in text


def test_a_newer_format(digits, tmp_path):
    path = rewritten(digits, tmp_path, format_version=FORMAT_VERSION + 1)
    assert f"has format {FORMAT_VERSION + 1}, this tvm_bnn reads {FORMAT_VERSION}: upgrade" in complaint_of(
        tvm_bnn.load, path
    )


def test_an_older_format(digits, tmp_path):
    path = rewritten(digits, tmp_path, format_version=1)
    assert f"has format 1, this tvm_bnn reads {FORMAT_VERSION}: compile the model again" in complaint_of(
        tvm_bnn.load, path
    )


def test_a_manifest_changed_with_its_checksum(digits, tmp_path):
    """A zip's CRC can be made to fit by anyone who edits it; the hash covers the manifest as well."""
    manifest, library = read_artifact(digits.path)
    data = digits.path.read_bytes()
    path = tmp_path / "edited.so"
    write_artifact(path, library, msgspec.structs.replace(manifest, model="another"))
    path.write_bytes(path.read_bytes()[:-64] + data[-64:])
    assert "does not match the hash at its end" in complaint_of(tvm_bnn.load, path)


def test_an_artifact_without_its_hash(digits, tmp_path):
    data = digits.path.read_bytes()
    path = tmp_path / "unsealed.so"
    path.write_bytes(data[:-64] + b"x" * 7 + data[-57:])
    assert "is damaged" in complaint_of(tvm_bnn.load, path)


def test_another_architecture(digits, tmp_path):
    path = rewritten(digits, tmp_path, machine="riscv64", target="board")
    assert f"is for riscv64 (board); this machine is {host.machine()}" in complaint_of(tvm_bnn.load, path)


def test_an_instruction_set_that_this_cpu_lacks(digits, monkeypatch):
    if digits.report.isa == PORTABLE.name:
        pytest.skip("compiled for any CPU")
    monkeypatch.setattr(host, "flags", frozenset)
    assert f"needs {digits.report.isa}, which this CPU lacks" in complaint_of(tvm_bnn.load, digits.path)


def test_an_instruction_that_this_cpu_lacks(digits, tmp_path):
    """Two cores of one instruction set differ: dot products, half precision."""
    path = rewritten(digits, tmp_path, cpu_features=("unobtainium",))
    assert "needs unobtainium, which this CPU lacks" in complaint_of(tvm_bnn.load, path)


@pytest.fixture(scope="module")
def model(digits):
    return tvm_bnn.load(digits.path)


def test_arrays_give_arrays_and_tensors_give_tensors(model):
    x = np.random.default_rng(0).random((1, 1, 8, 8), np.float32)
    from_array, from_tensor = model(x), model(torch.from_numpy(x).requires_grad_())
    assert isinstance(from_array, np.ndarray)
    assert isinstance(from_tensor, torch.Tensor)
    np.testing.assert_array_equal(from_array, from_tensor.numpy())


def test_strides_do_not_matter(model):
    x = np.random.default_rng(0).random((1, 1, 8, 8), np.float32)
    np.testing.assert_array_equal(model(np.asfortranarray(x)), model(x))


def test_outputs_outlive_the_next_call(model):
    rng = np.random.default_rng(0)
    first = model(rng.random((1, 1, 8, 8), np.float32))
    kept = first.copy()
    model(rng.random((1, 1, 8, 8), np.float32))
    np.testing.assert_array_equal(first, kept)


def test_wrong_inputs_get_one_line_each(model):
    x = np.zeros((1, 1, 8, 8), np.float32)
    assert "takes 1 inputs ('x'), got 2" in complaint_of(model, x, x)
    for shape in ((1, 1, 8, 9), (1, 8, 8), (64,), ()):
        text = complaint_of(model, np.zeros(shape, np.float32))
        assert f"has shape {shape}; the model was compiled for (1, 1, 8, 8)" in text
