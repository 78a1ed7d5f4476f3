"""Dashboards as code: four pages, each in English and 简体中文, built by `make dashboards`.

`pages/` defines the content of each page, `page.py` what all pages share, and `panels.py` the look of a panel. The
texts are in the catalogue `dashboards` of `stream_app.i18n`. `build.py` writes the files for Grafana.
"""
