"""The dashboards as code: four pages, each in English and 简体中文, built by `make dashboards`.

`pages/` has the content of each page, `page.py` what all pages share, `panels.py` the kinds of panels, and `words/` the
texts. `build.py` writes the files that Grafana is provisioned with, and `preview/` draws them.
"""
