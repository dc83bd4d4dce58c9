"""Tradier: what was dealt in an account, what it holds, and what that is worth now.

`client` asks, `answers` reads what comes, `deals` makes executions of it, `syncing` records
them and compares. The API is described at https://docs.tradier.com.
"""
