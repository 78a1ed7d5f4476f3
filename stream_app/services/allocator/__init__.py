"""The desk: a Faust shell that merges the nominations of all partitions and opens the day's episodes."""
