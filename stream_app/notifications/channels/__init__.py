"""The receivers of messages: each takes a letter and answers with a value of core.delivery.answer."""
