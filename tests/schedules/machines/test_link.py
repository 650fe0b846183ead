import pytest

from schedules.errors import UserError
from schedules.machines.link import compile_program, linker


def complaint_of(function, *arguments):
    with pytest.raises(UserError) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_linked_gets_one_line(tmp_path):
    broken = tmp_path / "broken.o"
    broken.write_text("no object file")
    assert "failed on model.so" in complaint_of(
        linker("aarch64-linux-gnu.2.27"), str(tmp_path / "model.so"), str(broken)
    )


def test_what_does_not_compile_gets_one_line(tmp_path):
    source = tmp_path / "broken.c"
    source.write_text("int main( {")
    text = complaint_of(compile_program, [source], tmp_path / "program", "x86_64-linux-gnu.2.28", [], [])
    assert "failed on program" in text
    assert "error" in text


def test_a_missing_cross_compiler_is_named_with_its_package(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _program: None)
    text = complaint_of(linker, "aarch64-linux-gnu.2.27", "system")
    assert "no 'aarch64-linux-gnu-gcc' on the PATH; install Debian's gcc-aarch64-linux-gnu" in text


def test_missing_zig_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert "pip install ziglang" in complaint_of(linker, "aarch64-linux-gnu.2.27", "zig")
