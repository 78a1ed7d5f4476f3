"""Events of a shop: the records customers cause, their spellings and their bounds."""
