"""The templates of messages, one folder a language; a shop's own folder may replace each of them."""
