"""Brokers' files of executions, and the trades they make. Pure: nothing here opens a database.

A format (`store/importers/`) makes a `Statement` of a file; `trades` makes trades of the
executions of one account, whatever files they came in.
"""
