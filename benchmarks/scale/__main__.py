"""How does it do with ten thousand users and ten million trades?

    python -m benchmarks.scale generate --users 10000 --trades 1000 --postgres-data DIR

`generate` fills an empty database with real ledgers. Without --database-url or
--postgres-data it is the SQLite file that --sqlite names.
"""

from benchmarks.scale.commands import main

if __name__ == "__main__":
    main()
