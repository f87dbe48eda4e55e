"""The gateways: requests as the contracts want them, answers and failures as outcomes."""
