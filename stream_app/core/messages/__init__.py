"""Wire messages: schema, decoding and what cannot be decoded."""
