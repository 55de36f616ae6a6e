"""Have enough people agreed? Nobody counts for two groups at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set


def is_reached(needed: Mapping[str, int], voters: Sequence[Set[str]]) -> bool:
    """True when every group's seats can be filled with different voters. `voters` are the groups of each person.

    Who sits for which group is chosen so that it helps most (augmenting paths in a bipartite graph).
    """
    seats = [group for group, people in sorted(needed.items()) for _ in range(people)]
    if not seats or len(seats) > len(voters):
        return False  # nobody asked is not everybody agreed
    seated: dict[int, int] = {}
    return all(_fill(seat, seats, voters, seated, set()) for seat in range(len(seats)))


def _fill(seat: int, seats: Sequence[str], voters: Sequence[Set[str]], seated: dict[int, int], asked: set[int]) -> bool:
    """Seat somebody, moving others to other seats of theirs where that frees the right person."""
    for voter, groups in enumerate(voters):
        if seats[seat] not in groups or voter in asked:
            continue
        asked.add(voter)
        if voter not in seated or _fill(seated[voter], seats, voters, seated, asked):
            seated[voter] = seat
            return True
    return False
