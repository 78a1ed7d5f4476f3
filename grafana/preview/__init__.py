"""Preview of the dashboards without Grafana: their queries are sent to a real Prometheus and drawn on the same grid.

python -m grafana.preview http://127.0.0.1:9090 --minutes 15 --out build/dashboards
"""
