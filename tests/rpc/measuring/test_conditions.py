"""What a board tells about itself, from files as boards have them."""

import fnmatch

from rpc.formats.board_facts import BoardFacts
from rpc.measuring.conditions import Conditions, conditions, cool_down, doubts, power_sensor
from rpc.measuring.device_measurement import _energy

CPU = "/sys/devices/system/cpu"
FIRMWARE = "/sys/devices/platform/soc/soc:firmware/get_throttled"


class Files:
    """A board that has these files and no others."""

    key, facts = "board", BoardFacts(machine="aarch64")

    def __init__(self, **files):
        self.files = files

    def read(self, path):
        return self.files.get(path, "")

    def find(self, pattern):
        return sorted(path for path in self.files if fnmatch.fnmatch(path, pattern))


RASPBERRY = {
    "/proc/loadavg": "0.12 0.08 0.02 1/120 900",
    f"{CPU}/cpu0/cpufreq/scaling_governor": "ondemand",
    f"{CPU}/cpu1/cpufreq/scaling_governor": "ondemand",
    f"{CPU}/cpu0/cpufreq/scaling_cur_freq": "1500000",
    f"{CPU}/cpu1/cpufreq/scaling_cur_freq": "600000",
    "/sys/class/thermal/thermal_zone0/temp": "48312",
    FIRMWARE: "50000",
}


def test_a_board_that_tells_everything():
    assert conditions(Files(**RASPBERRY)) == Conditions(("ondemand",), (1500000, 600000), 48.312, 0x50000, 0.12)


def test_a_board_that_tells_nothing():
    assert conditions(Files()) == Conditions()
    assert doubts(Conditions(), Conditions()) == []


def test_throttling_now_is_a_doubt_and_throttling_once_is_none():
    assert not doubts(Conditions(), Conditions(throttled=0x50000))
    assert "throttles the processor (0x50005)" in doubts(Conditions(), Conditions(throttled=0x50005))[0]


def test_a_processor_that_slowed_down_is_a_doubt():
    before, after = Conditions(frequencies_khz=(1500000, 600000)), Conditions(frequencies_khz=(1000000, 1000000))
    assert doubts(before, after) == ["the processor slowed from 1500 to 1000 MHz"]


def test_governor_and_load_are_doubts():
    assert "the governor is ondemand" in doubts(Conditions(governors=("ondemand",)), Conditions())[0]
    assert not doubts(Conditions(governors=("performance",)), Conditions())
    assert "load 2.5" in doubts(Conditions(load=2.5), Conditions())[0]


def test_a_hot_board_is_waited_for_but_not_for_ever():
    board, temperatures = Files(**RASPBERRY), iter(["80000", "70000", "60000"])

    def sleep(_seconds):
        board.files["/sys/class/thermal/thermal_zone0/temp"] = next(temperatures)

    board.files["/sys/class/thermal/thermal_zone0/temp"] = "90000"
    assert cool_down(board, 60, sleep) == 3
    board.files["/sys/class/thermal/thermal_zone0/temp"] = "90000"
    assert cool_down(board, 2, lambda _seconds: None) == 2
    assert cool_down(Files(), 60, sleep) == 0


class Sensed:
    def sense(self, _seconds, _path):
        return 1000, 2e9, 3_000_000.0


def test_energy_comes_from_a_sensor_or_not_at_all():
    sensor = "/sys/class/hwmon/hwmon2/power1_input"
    assert _energy(Files(), Sensed()) is None
    found = _energy(Files(**{sensor: "3000000"}), Sensed())
    assert (found.millijoules, found.watts, found.sensor) == (6.0, 3.0, sensor)


def test_of_several_sensors_none_is_guessed():
    assert power_sensor(Files(**{f"/sys/class/hwmon/hwmon{i}/power1_input": "1" for i in range(2)})) is None
