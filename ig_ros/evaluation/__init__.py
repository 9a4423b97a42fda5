"""How good a map is: metrics, held-out views, and the files `ig map` leaves behind."""
