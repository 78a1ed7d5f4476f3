"""The dashboards as code: four pages, each in English and 简体中文, built by `make dashboards`.

The order to read it in: `pages/` says what a page shows, `page.py` what all pages share, `panels.py` how a panel looks,
`words/` what it says, `build.py` writes the files that Grafana is provisioned with.
"""
