"""Who gets which device."""

from hypothesis import given
from hypothesis import strategies as st

from rpc.tracking.scheduler import Offer, Scheduler


def offer(owner, key="board"):
    return Offer(owner, key, "127.0.0.1", 1, f"{key}:{owner}")


def asked(scheduler, client, taken, key="board", priority=1, there=True):
    def take(granted):
        if there:
            taken.append((client, granted.owner))
        return there

    scheduler.request(key, priority, client, take)


def test_first_come_first_served():
    scheduler, taken = Scheduler(), []
    for client in "abc":
        asked(scheduler, client, taken)
    for device in (1, 2, 3):
        scheduler.put(offer(device))
    assert taken == [("a", 1), ("b", 2), ("c", 3)]


def test_a_higher_priority_goes_before():
    scheduler, taken = Scheduler(), []
    for client, priority in (("a", 1), ("b", 5), ("c", 5)):
        asked(scheduler, client, taken, priority=priority)
    for device in (1, 2, 3):
        scheduler.put(offer(device))
    assert [client for client, _ in taken] == ["b", "c", "a"]


def test_keys_have_queues_of_their_own():
    scheduler, taken = Scheduler(), []
    asked(scheduler, "a", taken, key="one")
    scheduler.put(offer(1, "another"))
    assert taken == []
    assert scheduler.queues() == {"another": {"free": 1, "pending": 0}, "one": {"free": 0, "pending": 1}}


def test_a_new_offer_replaces_the_old_one_of_its_server():
    scheduler = Scheduler()
    for _ in range(3):
        scheduler.put(offer(1))
    assert scheduler.queues() == {"board": {"free": 1, "pending": 0}}


def test_a_client_that_is_gone_loses_no_device():
    scheduler, taken = Scheduler(), []
    asked(scheduler, "gone", taken, there=False)
    asked(scheduler, "here", taken)
    scheduler.put(offer(1))
    assert taken == [("here", 1)]


def test_who_is_forgotten_leaves_nothing_behind():
    scheduler, taken = Scheduler(), []
    asked(scheduler, "client", taken)
    scheduler.forget("client")
    scheduler.put(offer("server"))
    assert taken == []
    assert scheduler.match_keys("server") == ["board:server"]
    scheduler.forget("server")
    assert scheduler.queues() == {}


@given(st.lists(st.tuples(st.sampled_from(["put", "ask", "gone", "leave"]), st.integers(0, 5)), max_size=60))
def test_no_device_is_lost_and_none_is_given_away_twice(steps):
    scheduler, taken, puts, waiting = Scheduler(), [], {}, {}
    for number, (step, who) in enumerate(steps):
        if step == "put":
            puts[who] = number
            scheduler.put(Offer(who, "board", "127.0.0.1", 1, str(number)))
        elif step == "leave":
            scheduler.forget(who)
            puts.pop(who, None)
        else:
            there = step == "ask"
            waiting[number] = there

            def take(granted, there=there, client=number):
                waiting.pop(client)
                if there:
                    taken.append(granted.match_key)
                    assert puts.pop(granted.owner) == int(granted.match_key)
                return there

            scheduler.request("board", 1, ("client", number), take)
        queue = scheduler.queues().get("board", {"free": 0, "pending": 0})
        assert queue == {"free": len(puts), "pending": len(waiting)}
        assert not (puts and waiting)
    assert len(set(taken)) == len(taken)
