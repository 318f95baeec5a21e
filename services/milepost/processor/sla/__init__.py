"""The SLAs of open orders: watched as events come and as time goes by, raised once, told to everybody."""
