"""Services: the processes of the live system and the runtime they share.

`worker/service.py` processes events and scores customers, `trainer/service.py` trains the churn model,
`allocator/service.py` opens each day's alerts, and `notifier/service.py` delivers them. The commands in
`cli/services.py` start them. See docs/architecture.md for the topics between them.
"""
