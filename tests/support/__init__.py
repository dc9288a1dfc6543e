"""What the live tests stand on: a client made of frames, a cutting proxy, an offline filter, slow stores."""
