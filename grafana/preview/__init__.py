"""The dashboards without Grafana: their JSON is queried from a real Prometheus and drawn on the same grid.

python -m grafana.preview http://127.0.0.1:9090 --minutes 15 --out build/dashboards
"""
