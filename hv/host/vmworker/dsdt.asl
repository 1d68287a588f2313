// SPDX-License-Identifier: MIT
/*
 * What the guest finds besides its CPUs: the VMBus, a serial port without an interrupt (the kernel polls it), and how to power
 * off. The device's name is as on Hyper-V: Linux looks for "VMBus" in exactly these letters.
 */
DefinitionBlock ("", "DSDT", 2, "REDOUB", "REDOUBT", 1)
{
	Name (\_S5, Package (4) { 5, 0, 0, 0 })

	Scope (\_SB)
	{
		Device (VMBS)
		{
			Name (_HID, "VMBus")
			Name (_UID, 0)
			Name (_DDN, "VMBUS")
			Name (_STA, 0x0F)
		}

		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 1)
			Name (_STA, 0x0F)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x03F8, 0x03F8, 1, 8)
			})
		}
	}
}
