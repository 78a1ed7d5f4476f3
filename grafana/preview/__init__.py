"""The dashboards without a Grafana: their own JSON, asked of a real Prometheus, and drawn on the same grid.

python -m grafana.preview http://127.0.0.1:9090 --minutes 15 --out build/dashboards
"""
