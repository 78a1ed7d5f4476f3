"""stub while the experts are being written"""
