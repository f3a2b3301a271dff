"""What jupyterhub_config.py says of cx: the members of one group may open it. `readers` of a report name groups too."""

c = get_config()  # noqa: F821

c.JupyterHub.services = [
    {
        "name": "cx",
        "url": "http://127.0.0.1:8866",
        # the address is that of the hub's proxy, which tells the viewers' addresses and nothing more
        "command": [
            "/srv/cx/.venv/bin/cx",
            "serve",
            "--no-browser",
            "--name",
            "hub.example.org",
            "--trust-proxy",
            "127.0.0.1",
        ],
        "cwd": "/srv/cx",
        "user": "cx-serve",
        "oauth_no_confirm": True,
    }
]
c.JupyterHub.load_roles = [
    {"name": "cx-readers", "scopes": ["self", "access:services!service=cx"], "groups": ["cx-readers"]},
]
