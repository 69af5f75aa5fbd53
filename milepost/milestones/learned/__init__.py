"""R_phi(o_t, a_t, o_{t+1}): a learned reward where rules cannot see. Reading it needs numpy alone."""
