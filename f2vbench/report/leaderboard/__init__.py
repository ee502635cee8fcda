"""Leaderboard: results of many runs, merged by fingerprint, on one static page; see `write_leaderboard`."""
