"""The line editor of `zchat join`: keys and editor are pure, tty and signals touch the system, screen joins them."""
