"""What several tests share: a WebSocket client, a proxy that cuts, a filter of their own, stores, graphs."""
