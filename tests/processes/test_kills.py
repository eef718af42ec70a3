"""Hosts killed with SIGKILL, again and again: nothing accepted is lost, nothing is done twice."""

import socket
import time
from contextlib import ExitStack

from tests.processes.watching import check_exactly_once

KILLS = 6


def test_accepted_requests_survive_one_kill_after_another(open_cluster, tmp_path):
    cluster = open_cluster(3)
    loads = {child: child.send("load", prefix=f"{child.name} 0") for child in cluster.members}
    for kill in range(1, KILLS + 1):
        time.sleep(0.3)
        host = cluster.host
        host.kill()
        del loads[host]
        back = cluster.bring_back(host)
        loads[back] = back.send("load", prefix=f"{back.name} {kill}")
    time.sleep(0.3)
    for child in loads:
        child.ask("unload")
    answers = [child.wait(number) for child, number in loads.items()]
    assert all(answer["done"] for answer in answers), "somebody's requests were never accepted"
    assert sum(answer["unknown"] for answer in answers) == 0
    assert check_exactly_once(cluster, tmp_path) > KILLS


def test_requests_on_their_way_when_the_host_dies_are_done_once(open_cluster, tmp_path):
    cluster = open_cluster(3)
    for kill in range(3):
        host = cluster.host
        asked = [
            (child, child.send("request", body=f"{kill} {child.name} {number}"))
            for number in range(20)
            for child in cluster.members
            if child is not host
        ]
        host.kill()
        for child, number in asked:
            assert child.wait(number)["reply"] == "1"
        cluster.bring_back(host)
        cluster.wait_until_complete()
    assert check_exactly_once(cluster, tmp_path) == 3 * 2 * 20


def test_two_of_three_killed_and_back_lose_nothing(open_cluster, tmp_path):
    cluster = open_cluster(3)
    host, *others = cluster.host, *cluster.others
    for number in range(10):
        assert others[0].ask("request", body=f"before {number}")["reply"] == "1"
    host.kill()
    others[0].kill()
    number = others[1].send("request", body="meanwhile")
    time.sleep(1.0)
    assert not others[1].ask("look")["is_host"], "one of three must not host alone"
    cluster.bring_back(host)
    cluster.bring_back(others[0])
    assert others[1].wait(number)["reply"] == "1"
    cluster.wait_until_complete()
    assert check_exactly_once(cluster, tmp_path) == 11


def test_all_killed_at_once_resume_with_everything(open_cluster, tmp_path):
    cluster = open_cluster(3)
    for child in cluster.members:
        assert child.ask("request", body=f"before {child.name}")["reply"] == "1"
    dead = list(cluster.members)
    for child in dead:
        child.kill()
    for child in dead:
        cluster.bring_back(child)
    cluster.wait_until_complete()
    assert cluster.members[0].ask("request", body="after")["reply"] == "1"
    assert check_exactly_once(cluster, tmp_path) == 4


def test_members_whose_ports_were_taken_meanwhile_find_each_other_again(open_cluster, tmp_path):
    """All are killed at once; two of three come back on other ports, the third is where it was."""
    cluster = open_cluster(3)
    cluster.members[0].ask("request", body="before")
    members, ports = list(cluster.members), [member.ask("status")["port"] for member in cluster.members]
    for member in members:
        member.kill()
    with ExitStack() as stack:
        for port in ports[:2]:
            taken = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            taken.bind(("127.0.0.1", port))
        for member in members:
            cluster.bring_back(member)
        cluster.wait_until_complete()
        assert [member.ask("status")["port"] for member in cluster.members][2] == ports[2]
        assert not set(ports[:2]) & {member.ask("status")["port"] for member in cluster.members}
    cluster.members[1].ask("request", body="after")
    assert check_exactly_once(cluster, tmp_path) == 2
